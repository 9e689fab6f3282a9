"""What ``tools/kill_test.py`` trains, how it ends a training, and how two runs are compared."""
