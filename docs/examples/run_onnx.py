"""A path that `pathways export --format onnx` wrote, on one image, with onnxruntime alone: FILE.onnx IMAGE."""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
task = json.loads(session.get_modelmeta().custom_metadata_map["pathways"])
pixels = np.asarray(Image.open(sys.argv[2]).convert("L"))  # a grey image of the task's size
[[scores]] = session.run(["scores"], {"image": pixels[None, None]})
probabilities = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
best = int(probabilities.argmax())
print(task["target"]["names"][best], f"{probabilities[best]:.3f}")
