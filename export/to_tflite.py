"""Write a .tflite file from a .keras file, and say how well it agrees.

python export/to_tflite.py hasher.keras hasher.tflite --inputs x.npy --quantize int8
"""

import sys

from keras_ae.export import to_tflite
from keras_ae.export._command import parser, run

if __name__ == "__main__":
    command = parser(__doc__.splitlines()[0], "file to write, .tflite")
    command.add_argument("--signatures", nargs="+", help="functions to write")
    command.add_argument("--quantize", default="float32", help="float32, float16, dynamic or int8")
    command.add_argument("--batch", type=int, help="1 for one example at a time")
    command.add_argument("--target-runtime", default="2.16", help="2.16 or litert")
    sys.exit(
        run(
            command.parse_args(),
            lambda model, x, arguments: to_tflite(
                model,
                arguments.out,
                x,
                arguments.signatures,
                quantize=arguments.quantize,
                calibration=x if arguments.quantize == "int8" else None,
                batch=arguments.batch,
                target_runtime=arguments.target_runtime,
                preprocessing=arguments.preprocessing,
            ),
        )
    )
