"""A path that `pathways export --format pt2` wrote, on one image, with torch alone: FILE.pt2 IMAGE."""

import json
import sys

import numpy as np
import torch
from PIL import Image

said = {"pathways": ""}
program = torch.export.load(sys.argv[1], extra_files=said).module()
task = json.loads(said["pathways"])
pixels = np.asarray(Image.open(sys.argv[2]).convert("L"))  # a grey image of the task's size
probabilities = program(torch.tensor(pixels)[None, None]).softmax(1)[0]
best = int(probabilities.argmax())
print(task["target"]["names"][best], f"{float(probabilities[best]):.3f}")
