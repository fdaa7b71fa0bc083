"""Write a .onnx file from a .keras file, and say how well it agrees.

python export/to_onnx.py hasher.keras hasher.onnx --inputs x.npy --quantize dynamic
"""

import sys

from keras_ae.export import to_onnx
from keras_ae.export._command import parser, run

if __name__ == "__main__":
    command = parser(__doc__.splitlines()[0], "file to write, .onnx")
    command.add_argument("--signature", help="function to write")
    command.add_argument("--opset", type=int, default=17, help="13 to 18")
    command.add_argument("--quantize", help="dynamic or static; float32 without")
    sys.exit(
        run(
            command.parse_args(),
            lambda model, x, arguments: to_onnx(
                model,
                arguments.out,
                x,
                arguments.signature,
                opset=arguments.opset,
                quantize=arguments.quantize,
                calibration=x if arguments.quantize == "static" else None,
                preprocessing=arguments.preprocessing,
            ),
        )
    )
