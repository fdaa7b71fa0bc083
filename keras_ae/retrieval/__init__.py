"""Search of binary codes, its quality measures, and classical ways to make codes.

Needs NumPy, numba and safetensors; neither Keras nor TensorFlow.
"""

from keras_ae.retrieval.code_statistics import bit_balance as bit_balance
from keras_ae.retrieval.code_statistics import bit_correlation as bit_correlation
from keras_ae.retrieval.code_statistics import code_entropy as code_entropy
from keras_ae.retrieval.hamming_index import HammingIndex as HammingIndex
from keras_ae.retrieval.itq import ITQ as ITQ
from keras_ae.retrieval.metrics import mean_average_precision as mean_average_precision
from keras_ae.retrieval.metrics import precision_at_k as precision_at_k
from keras_ae.retrieval.metrics import precision_recall_curve as precision_recall_curve
from keras_ae.retrieval.metrics import recall_at_k as recall_at_k
from keras_ae.retrieval.milvus_index import MilvusIndex as MilvusIndex
from keras_ae.retrieval.pca_signs import PCASigns as PCASigns
from keras_ae.retrieval.radius_result import RadiusResult as RadiusResult
from keras_ae.retrieval.random_projection import RandomProjection as RandomProjection
from keras_ae.retrieval.search_result import SearchResult as SearchResult
