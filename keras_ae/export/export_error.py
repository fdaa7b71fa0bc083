"""What is raised instead of writing a bad file."""


class ExportError(RuntimeError):
    """A model cannot be exported: its target cannot run it, or computes something else."""
