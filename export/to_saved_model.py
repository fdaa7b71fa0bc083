"""Write a version of a model for TF Serving from a .keras file, and say how well it agrees.

python export/to_saved_model.py hasher.keras models/hasher --inputs x.npy
"""

import sys

from keras_ae.export import to_saved_model
from keras_ae.export._command import parser, run

if __name__ == "__main__":
    command = parser(__doc__.splitlines()[0], "folder of the versions")
    command.add_argument("--signatures", nargs="+", help="functions to write")
    command.add_argument("--version", type=int, help="the one after the highest without")
    sys.exit(
        run(
            command.parse_args(),
            lambda model, x, arguments: to_saved_model(
                model,
                arguments.out,
                x,
                arguments.signatures,
                version=arguments.version,
                preprocessing=arguments.preprocessing,
            ),
        )
    )
