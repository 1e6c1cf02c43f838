"""Views of an evaluation for people: one self-contained HTML page, and the lines a console prints."""
