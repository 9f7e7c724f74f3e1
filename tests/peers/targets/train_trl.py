"""The exported train.py, run in its folder: START FOLDER."""

import os
import runpy
import sys
from pathlib import Path

from starting import begin_as_ours

start, folder = map(Path, sys.argv[1:])
os.chdir(folder)
begin_as_ours(start)
runpy.run_path("train.py")
