"""The tools of the agent. They are the outside world: nothing here knows Statehouse.

A tool is called with an id. Called again with the same id it answers what it answered the
first time, without running again: the agent may be killed between a tool's answer and its
note of it, and cannot know which. (Payment services call that an idempotency key.)
"""

import ast
import json
import operator
from pathlib import Path

DOCUMENTS = Path(__file__).parent / "documents"


class Toolbox:
    """Runs tools, and keeps a receipt and a line in ``ran.log`` of each run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.receipts = folder / "receipts"
        self.receipts.mkdir(parents=True, exist_ok=True)

    def call(self, call_id: str, tool: str, arguments: dict) -> dict:
        receipt = self.receipts / f"{call_id}.json"
        if receipt.exists():
            return json.loads(receipt.read_text())
        result = getattr(self, f"_{tool}")(**arguments)
        with (self.folder / "ran.log").open("a") as log:
            log.write(f"{call_id} {tool}\n")
        draft = receipt.with_suffix(".draft")
        draft.write_text(json.dumps(result))
        draft.replace(receipt)
        return result

    def _search(self, query: str) -> dict:
        """Answers the document that has the most words of the query."""
        words = set(query.lower().split())

        def score(path: Path) -> int:
            return len(words & set(path.read_text().lower().replace(".", " ").split()))

        best = max(sorted(DOCUMENTS.glob("*.txt")), key=score)
        return {"document": best.name, "text": " ".join(best.read_text().split())}

    def _calculate(self, expression: str) -> dict:
        """Answers the value of an expression of numbers, + - * / and brackets."""
        return {"value": round(_evaluate(ast.parse(expression, mode="eval").body), 3)}

    def _write_file(self, name: str, text: str) -> dict:
        """Writes a report."""
        path = self.folder / Path(name).name
        path.write_text(text)
        return {"path": path.name, "bytes": path.stat().st_size}


_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def _evaluate(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_evaluate(node.left), _evaluate(node.right))
    raise ValueError(f"not arithmetic: {ast.unparse(node)}")
