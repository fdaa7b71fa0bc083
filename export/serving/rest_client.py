"""Ask a model server for codes by REST.

python export/serving/rest_client.py x.npy --model hasher
"""

import argparse
import json
from urllib.request import Request, urlopen

import numpy as np
import numpy.typing as npt


def encode(
    x: npt.NDArray[np.float32], url: str = "http://127.0.0.1:8501", model: str = "hasher"
) -> npt.NDArray[np.uint8]:
    """Return the codes `(n, bits / 8)` of inputs `(n, ...)`."""
    body = {"signature_name": "encode", "inputs": {"x": x.tolist()}}
    request = Request(
        f"{url}/v1/models/{model}:predict",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urlopen(request, timeout=10) as response:
        return np.array(json.load(response)["outputs"], "uint8")


if __name__ == "__main__":
    command = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    command.add_argument("inputs", help="real inputs, .npy")
    command.add_argument("--url", default="http://127.0.0.1:8501")
    command.add_argument("--model", default="hasher")
    arguments = command.parse_args()
    x = np.load(arguments.inputs).astype("float32")
    for code in encode(x, arguments.url, arguments.model):
        print(code.tobytes().hex())
