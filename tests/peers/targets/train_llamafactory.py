"""LLaMA-Factory with the exported llamafactory.yaml, in its folder: START FOLDER."""

import os
import sys
from pathlib import Path

import yaml
from llamafactory.train.tuner import run_exp
from starting import begin_as_ours

start, folder = map(Path, sys.argv[1:])
os.chdir(folder)
begin_as_ours(start)
run_exp(yaml.safe_load(Path("llamafactory.yaml").read_text(encoding="utf-8")))
