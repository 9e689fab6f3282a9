"""What ``tools/study.py`` trains, and the tables that it writes."""
