"""Parts of `benchmarks/speed.py`; a folder, so that `make bench` does not run them as scripts."""
