"""The model server against others: the digits service, one core for the server, one for the load.

`python -m benchmarks.serving`. With 1, 16 and 64 clients that keep their connections and send one multipart picture
after the other: our server, a bare Starlette handler with the same model on uvicorn, MLServer, LitServe, BentoML; and
the start of a replica against the bare load of its model. Each server has an environment of its own in the user's
cache. A ratio "by CPU" counts what the server's processes used, which a busy machine does not change.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from statistics import median

import platformdirs

from benchmarks._peers import PEERS, STARLETTE, Peer
from benchmarks.gateway import CLIENTS, Speed, Target, costs, drive, free_port, listens, make_package, measured, rates
from benchmarks.measure import REPEATS, Row, process, table
from specforge.executors.packages import run_uv
from specforge.executors.payload import procedures_zip
from specforge.runtimes import ENGINES, FRAMEWORKS, server_of

ENGINE = "scikit-learn"
BARE_LOAD = "import joblib, sys; joblib.load(sys.argv[1]).predict"
UNTIL_HEALTHY = """
import socket, subprocess, sys, time
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
answer = b""
while b" 200 " not in answer:
    if child.poll() is not None:
        sys.exit("the server ended")
    time.sleep(0.01)
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect("s")
            client.sendall(b"GET /health HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
            answer = client.recv(100)
        except OSError:
            pass
print(time.perf_counter())
child.kill()
child.wait()
"""


def environment(requirements: Sequence[str]) -> Path | None:
    """Return the interpreter of an environment with these packages, made once; None if it cannot be made."""
    name = sha256("\n".join(requirements).encode()).hexdigest()[:16]
    folder = platformdirs.user_cache_path("specforge-benchmarks") / name
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = run_uv(["venv", "--quiet", "--clear", "--no-project", str(folder)])
        words = ["pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *requirements]
        done = run_uv(words) if made is not None and made.code == 0 else None
        if done is None or done.code != 0:
            return None
        (folder / "ready").touch()
    return python


@contextmanager
def running(command: Sequence[str], where: str, folder: Path, variables: dict[str, str]) -> Iterator[Target]:
    """Run a server until the end of the block, with all the processes that it starts; give it once it answers."""
    own = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **variables}
    with open(folder / "log.txt", "ab") as log:
        child = subprocess.Popen(command, cwd=folder, env=own, stdout=log, stderr=log, start_new_session=True)
    try:
        end = time.monotonic() + 120
        while not (listens(where) and answers(where)):
            if child.poll() is not None or time.monotonic() > end:
                raise RuntimeError((folder / "log.txt").read_text(errors="replace")[-2000:])
            time.sleep(0.1)
        yield Target(where, tuple(family(child.pid)))
    finally:
        for pid in family(child.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        child.wait()


def answers(where: str) -> bool:
    """Return whether a picture is predicted by now."""
    try:
        return drive(where, 1, 0.01) > 0
    except (RuntimeError, OSError, ValueError, IndexError):
        return False


def family(leader: int) -> list[int]:
    """Return a process and all that descend from it."""
    parents = {}
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                fields = (each / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(each.name)] = int(fields[1])
    found = [leader]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


@contextmanager
def served(peer: Peer, root: Path) -> Iterator[Target | None]:
    """Run another server; None if its environment cannot be made."""
    python = environment((*FRAMEWORKS[ENGINE], *peer.requirements))
    if python is None:
        yield None
        return
    folder = root / peer.name.split()[0]
    folder.mkdir()
    (folder / "program.py").write_text(peer.program, encoding="utf-8")
    port = free_port()
    variables = {"MODEL": str(root / "package" / "model" / "digits.joblib")}
    with running([str(python), *peer.command, str(port)], f"127.0.0.1:{port}", folder, variables) as target:
        yield target


def main() -> list[Row]:
    """Measure, and return the rows of the table."""
    python = environment(ENGINES[server_of(ENGINE)])
    if python is None:
        return [Row("the model server", "not measured: its environment cannot be made")]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        root = Path(name)
        make_package(root / "package")
        archive = procedures_zip(root / "cache")
        rows = [start(python, archive, root)]
        port = free_port()
        command = [str(python), str(archive), "serve", f"--package={root / 'package'}", f"--port={port}"]
        ours = stack.enter_context(running(command, f"127.0.0.1:{port}", root, {}))
        peers = {each: stack.enter_context(served(each, root)) for each in PEERS}
        for clients in CLIENTS:
            rows += compared(clients, ours, peers)
    return rows


def compared(clients: int, ours: Target, peers: dict[Peer, Target | None]) -> Iterator[Row]:
    """Measure all with so many clients, in turns; give a row for each."""
    rounds = [
        (measured(ours, clients), {peer: measured(each, clients) for peer, each in peers.items() if each})
        for _ in range(REPEATS)
    ]
    own = [each for each, _ in rounds]
    rate, cost = median(each.rate for each in own), median(each.cost for each in own)
    yield Row(f"digits service, {clients} client{'s' if clients > 1 else ''}", f"{rate:,.0f}/s, {cost:.0f} µs CPU each")
    for peer, target in peers.items():
        wanted = "≥ 1.0×" if peer is STARLETTE else "> 1×"
        if target is None:
            yield Row(f"- against {peer.name}", "not measured: it cannot be installed", wanted)
            continue
        pairs: list[tuple[Speed, Speed]] = [(each, others[peer]) for each, others in rounds]
        yield Row(f"- against {peer.name}", f"{rates(pairs):.2f}× (by CPU {costs(pairs):.2f}×)", wanted)


def start(python: Path, archive: Path, root: Path) -> Row:
    """Measure the start of a replica, from its command to a healthy answer, against the bare load of its model."""
    file = root / "package" / "model" / "digits.joblib"
    serve = [str(python), str(archive), "serve", f"--package={root / 'package'}", "--socket=s"]
    variables = {"PYTHONDONTWRITEBYTECODE": ""}
    pairs = []
    for _ in range(REPEATS):
        bare = process([str(python), "-c", BARE_LOAD, str(file)], variables)
        begun = time.perf_counter()
        ready = process([str(python), "-c", UNTIL_HEALTHY, *serve], variables, cwd=root)
        pairs.append((float(ready.output) - begun, bare.wall, ready.cpu, bare.cpu))
    ours, load = median(each[0] for each in pairs), median(each[1] for each in pairs)
    factor = median((each[0] - 0.3) / each[1] for each in pairs)
    by_cpu = median((each[2] - 0.3) / each[3] for each in pairs)
    shown = f"{ours:.2f} s; bare load {load:.2f} s: {factor:.2f}× and 0.3 s (by CPU {by_cpu:.2f}×)"
    return Row("start of a replica until healthy", shown, "≤ 1.1× and 0.3 s")


if __name__ == "__main__":
    print(table(main()))
