"""Data sets, each recognising the folder layouts it knows."""
