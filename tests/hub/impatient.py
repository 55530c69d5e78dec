"""Runs a script with every pause 50 times as short as it would be: `impatient.py SCRIPT OPTIONS`."""

import runpy
import sys
import time

if __name__ == "__main__":
    sleep = time.sleep
    time.sleep = lambda seconds: sleep(seconds / 50)
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
