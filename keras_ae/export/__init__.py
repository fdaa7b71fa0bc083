"""Models as TFLite, ONNX and SavedModel files, each run in its own runtime before you get it."""

# ruff: noqa: E402  # First what this needs.
import keras  # noqa: F401  # First: see keras_ae/_registration.py.

from keras_ae._optional import require_tensorflow

require_tensorflow("keras_ae.export")

from keras_ae.export.artefact_metadata import read_metadata as read_metadata
from keras_ae.export.device_bundle import to_device_bundle as to_device_bundle
from keras_ae.export.export_error import ExportError as ExportError
from keras_ae.export.export_result import ExportResult as ExportResult
from keras_ae.export.onnx_export import to_onnx as to_onnx
from keras_ae.export.parity import Parity as Parity
from keras_ae.export.saved_model_export import to_saved_model as to_saved_model
from keras_ae.export.tflite_export import to_tflite as to_tflite
from keras_ae.export.verification import compare as compare
from keras_ae.export.verification import verify as verify
