"""What the test gives and what it reads: a setting as JSON, and a line for each step that is done."""

import json
import os
from types import SimpleNamespace

setting = SimpleNamespace(**json.loads(os.environ["TOKENBIND_SETTING"]))

if setting.issuer.startswith("http:"):
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"


def step(name):
    """Runs the function. One that fails ends the script: the exception is its report."""

    def run(function):
        function()
        print("ok", name, flush=True)

    return run
