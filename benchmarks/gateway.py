"""Requests through the gateway against direct ones: the digits service, one core for what answers, one for the load.

`python -m benchmarks.gateway`. Three are measured in turns, with 1, 16 and 64 clients that keep their connections and
send one multipart picture after the other: a bare Starlette handler with the same model on uvicorn (the peer; needs
`python-multipart`), our model server alone, and our model server behind Envoy, both on the same core.
"""

from __future__ import annotations

import importlib.util
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.measure import REPEATS, ROOT, Row, table
from specforge.core.address import Address
from specforge.core.queries import LookAtRoutes
from specforge.core.serving import Listen
from specforge.core.steps import SetRoutes
from specforge.core.values import Frozen, Key, Place
from specforge.executors.base import StepContext, Surroundings, TreeReader
from specforge.executors.local.executor import LocalExecutor
from specforge.executors.local.pool import pool_of
from specforge.executors.local.settings import LocalSettings
from specforge.executors.replicas.launch import let_others_finish

CLIENTS = (1, 16, 64)
SECONDS = 2.0
PLACE = LocalSettings().place("here")
GROUP, ROUTE = "service.digits-group", "service.digits-route"
CONTEXT = StepContext(Key("lineage", Address("service", "digits"), "a" * 64, 1, "routes"))
PEER = """
import io, sys
import joblib, numpy as np, uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

model = joblib.load(sys.argv[1])

async def predict(request):
    async with request.form() as form:
        data = await form["images"].read()
    row = np.asarray(Image.open(io.BytesIO(data)).convert("L"), dtype=np.float64).reshape(1, -1)
    return JSONResponse({"predicted_label": str(model.predict(row)[0])})

app = Starlette(routes=[Route("/", predict, methods=["POST"])])
uvicorn.run(app, port=int(sys.argv[2]), log_level="warning", access_log=False)
"""
LOAD = """
import sys
from benchmarks.gateway import drive
print(drive(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
"""
BOUNDARY = "form-of-the-benchmark"


@dataclass(frozen=True, slots=True)
class Target:
    """Who answers: `where` is HOST:PORT or the path of a Unix socket, `pids` are all the processes that work for it."""

    where: str
    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Speed:
    """Requests in a second of wall time, and CPU microseconds of what answers for each."""

    rate: float
    cost: float


# ---- load ----


def picture() -> bytes:
    """Return one whole request: an 8 × 8 picture as a multipart form."""
    import io

    import numpy as np
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray((np.arange(64).reshape(8, 8) % 17).astype("uint8")).save(file, "PNG")
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="images"; filename="p.png"\r\n'
    body = f"{part}Content-Type: image/png\r\n\r\n".encode() + file.getvalue() + f"\r\n--{BOUNDARY}--\r\n".encode()
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def drive(where: str, clients: int, seconds: float) -> int:
    """Send requests from so many clients, each after its last answer; return how many were answered.

    Raises RuntimeError for an answer that is not 200.
    """
    request, answered = picture(), 0
    with selectors.DefaultSelector() as waiting:
        for _ in range(clients):
            connection = connect(where)
            connection.sendall(request)
            waiting.register(connection, selectors.EVENT_READ, bytearray())
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for key, _ in waiting.select(1.0):
                connection, got = key.fileobj, key.data
                got += connection.recv(1 << 16)
                head, found, body = got.partition(b"\r\n\r\n")
                if found and len(body) >= int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]):
                    if not head.startswith(b"HTTP/1.1 200"):
                        raise RuntimeError(bytes(got).decode())
                    answered += 1
                    got.clear()
                    connection.sendall(request)
        for key in list(waiting.get_map().values()):
            key.fileobj.close()
    return answered


def connect(where: str) -> socket.socket:
    """Open a connection to HOST:PORT or to a Unix socket."""
    if "/" in where:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(where)
    else:
        host, port = where.rsplit(":", 1)
        connection = socket.create_connection((host, int(port)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(60)
    return connection


def measured(target: Target, clients: int) -> Speed:
    """Drive the target from a process on the last core; it has the first one."""
    for pid in target.pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(thread), {min(os.sched_getaffinity(0))})
    before = sum(map(cpu_seconds, target.pids))
    command = [sys.executable, "-c", LOAD, target.where, str(clients), str(SECONDS)]
    core = max(os.sched_getaffinity(0))
    load = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, check=True, preexec_fn=lambda: os.sched_setaffinity(0, {core})
    )
    answered = int(load.stdout)
    return Speed(answered / SECONDS, (sum(map(cpu_seconds, target.pids)) - before) / answered * 1e6)


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---- who answers ----


def make_package(folder: Path) -> None:
    """Train the digits model, and lay it out as a model package."""
    import joblib
    from sklearn.datasets import load_digits
    from sklearn.svm import SVC

    from specforge.formats import config_json

    data, labels = load_digits(return_X_y=True)
    (folder / "model").mkdir(parents=True)
    joblib.dump(SVC(C=10, gamma=0.001).fit(data, labels), folder / "model" / "digits.joblib")
    config = config_json.ModelConfig("digits", "Scikit_Learn", config_json.MODES["image_processing"])
    (folder / "model" / "config.json").write_bytes(config_json.write(config))


@contextmanager
def process(command: list[str], where: str, cwd: Path) -> Iterator[Target]:
    """Run a server until the end of the block, scheduled as supervisor's programs are; give it once it listens."""
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    variables |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with open(cwd / "log.txt", "ab") as log:
        child = subprocess.Popen(command, cwd=cwd, env=variables, stdout=log, stderr=log, preexec_fn=let_others_finish)
    try:
        wait_for(lambda: listens(where), child)
        yield Target(where, (child.pid,))
    finally:
        child.terminate()
        child.wait()


def listens(where: str) -> bool:
    """Return whether a connection is taken."""
    try:
        connect(where).close()
    except OSError:
        return False
    return True


def wait_for(condition: Callable[[], bool], child: subprocess.Popen[bytes]) -> None:
    """Wait until the condition holds; raise if the process ends before."""
    while not condition():
        if child.poll() is not None:
            raise RuntimeError(f"`{child.args}` ended with {child.returncode}")
        time.sleep(0.05)


def free_port() -> int:
    """Return a port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def gateway(root: Path, replica: Target) -> Iterator[Target]:
    """Have an Envoy that leads requests to the replica; both work for the requests."""

    def no_reader(place: Place) -> TreeReader:
        raise LookupError(f"nothing is read at {place}")

    executor = LocalExecutor(Surroundings(root, root / "cache", no_reader))
    listen = Listen("127.0.0.1", free_port())
    executor.perform(SetRoutes(PLACE, ROUTE, listen, Frozen({GROUP: 100})), CONTEXT)
    try:
        query = LookAtRoutes(PLACE, ROUTE)
        pid = executor.observe(PLACE, [query], None)[query].facts["pid"]
        yield Target(str(listen), (pid, *replica.pids))
    finally:
        executor.perform(SetRoutes(PLACE, ROUTE, None, Frozen(), drain=0.0), CONTEXT)


@contextmanager
def peer(root: Path) -> Iterator[Target | None]:
    """Run the bare Starlette handler; None where what it needs is not installed."""
    if importlib.util.find_spec("python_multipart") is None or importlib.util.find_spec("starlette") is None:
        yield None
        return
    port = free_port()
    command = [sys.executable, "-c", PEER, str(root / "package" / "model" / "digits.joblib"), str(port)]
    with process(command, f"127.0.0.1:{port}", root) as target:
        yield target


# ---- the table ----


def main() -> list[Row]:
    """Measure all three in turns."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        make_package(root / "package")
        folder = pool_of(PLACE, root).folder / "groups" / GROUP
        folder.mkdir(parents=True)
        serve = [sys.executable, "-m", "specforge.procedures", "serve", f"--package={root / 'package'}"]
        socket_path = str(folder / "1.sock")
        with (
            peer(root) as bare,
            process([*serve, "--socket=1.sock"], socket_path, folder) as direct,
            gateway(root, direct) as through,
        ):
            return [row for clients in CLIENTS for row in compared(clients, bare, direct, through)]


def compared(clients: int, bare: Target | None, direct: Target, through: Target) -> Iterator[Row]:
    """Measure with so many clients; give the rows."""
    rounds = [
        (bare and measured(bare, clients), measured(direct, clients), measured(through, clients))
        for _ in range(REPEATS)
    ]
    with_gateway = [each[2] for each in rounds]
    rate, cost = median(each.rate for each in with_gateway), median(each.cost for each in with_gateway)
    what = f"digits service through Envoy, {clients} client{'s' if clients > 1 else ''}"
    yield Row(what, f"{rate:,.0f}/s, {cost:.0f} µs CPU each")
    pairs = [(each[2], each[1]) for each in rounds]
    yield Row("- against our server directly", f"{rates(pairs):.2f}× (by CPU {costs(pairs):.2f}×)")
    if bare is not None:
        pairs = [(each[2], each[0]) for each in rounds if each[0]]
        yield Row("- against a bare Starlette handler", f"{rates(pairs):.2f}× (by CPU {costs(pairs):.2f}×)", "≥ 0.7×")


def rates(pairs: list[tuple[Speed, Speed]]) -> float:
    """Return how many requests the first answers for one of the second, in the same time."""
    return median(a.rate / b.rate for a, b in pairs)


def costs(pairs: list[tuple[Speed, Speed]]) -> float:
    """Return the same for equal CPU time: what it would be if nothing else ran on the machine."""
    return median(b.cost / a.cost for a, b in pairs)


if __name__ == "__main__":
    print(table(main()))
