"""Functions of the page's modules that import nothing, asked from Python through Node."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from page_checks import need

STATIC = Path(__file__).resolve().parent.parent / "src/sumnist/serve/static"


def answers(module: str, function: str, questions: list[Any]) -> list[Any]:
    """What a module's functions say to each question, which is the argument of the arrow `function`."""
    node = Path(shutil.which("node") or "node")
    need(node, "apt-get install nodejs")
    source = base64.b64encode((STATIC / module).read_bytes()).decode()
    program = f"""
      import {{ readFileSync }} from "node:fs";
      const module = await import("data:text/javascript;base64,{source}");
      const answer = ({function})(module);
      const questions = JSON.parse(readFileSync(0, "utf8"));
      console.log(JSON.stringify(questions.map(answer)));
    """
    done = subprocess.run(
        [node, "--input-type=module", "--eval", program], input=json.dumps(questions), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found
