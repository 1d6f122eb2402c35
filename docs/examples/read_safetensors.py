"""What `pathways export --format safetensors` wrote: the weights by module, with all that names them: FILE."""

import json
import sys

from safetensors import safe_open

with safe_open(sys.argv[1], "pt") as file:
    task = json.loads(file.metadata()["task"])  # name, inputs, target, transform; "path" holds the path's modules
    print(f"task {task['name']}, classes {' '.join(task['target']['names'])}")
    for name in sorted(file.keys()):
        print(name, *file.get_tensor(name).shape)
