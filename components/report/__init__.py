"""Views of evaluations for people: self-contained HTML pages, the lines a console prints, TensorBoard."""

BOARD_FOLDER = "tensorboard"
"""Below an evaluation's folder: what TensorBoard shows of it."""
