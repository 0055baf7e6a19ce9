import importlib.util
import sys
from pathlib import Path

# The stage of the runtime's tests serves here too.
_spec = importlib.util.spec_from_file_location(
    "runtime_stage", Path(__file__).parents[1] / "runtime" / "conftest.py"
)
_module = importlib.util.module_from_spec(_spec)
sys.modules["runtime_stage"] = _module
_spec.loader.exec_module(_module)
stage = _module.stage
