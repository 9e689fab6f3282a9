"""What ``tools/fuzz.py`` and ``tests/fuzz`` are made of: valid files, ways to break them, readers, and what holds of each."""
