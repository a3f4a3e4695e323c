"""What a program finds: its words, variables, folders, inputs and code."""

from __future__ import annotations

import json
import os
import zipfile

import pytest
from local_bench import LocalBench, a_key, python

from specforge.core.errors import ExecutionError
from specforge.core.steps import Copy
from specforge.core.values import PROJECT, Frozen, JobInput, JobOutput, Limits, Place, Run, Select, Tree
from specforge.executors.base import Surroundings
from specforge.executors.local.executor import LocalExecutor
from specforge.executors.payload import procedures_zip
from specforge.formats import folder, manifest, tree
from specforge.testing.storage import SuiteTrees

SHOW = """
import json, os, sys
mask = os.umask(0)
print(json.dumps({"variables": dict(os.environ), "cwd": os.getcwd(), "umask": mask, "argv": sys.argv[1:],
                  "cores": len(os.sched_getaffinity(0)), "session": os.getsid(0) == os.getpid(),
                  "input": sys.stdin.read(), "open": sorted(os.listdir("/proc/self/fd"))}))
"""


class ProjectFolder(SuiteTrees):
    """The user's folder on this machine: its trees are shown to jobs without a copy."""

    def __init__(self, root):
        super().__init__()
        self.root = root

    def local_folder(self, tree):
        return self.root / tree.path


def shown(local, *words, **changes):
    run = Run(("@python", "-c", SHOW, *words), **changes.pop("run", {}))
    local.perform(run, **changes)
    return json.loads(local.log(changes.get("key"))[-1])


def test_a_clean_process(local, monkeypatch):
    """A program gets the variables of the run and a few fixed ones, nothing of whoever runs `spec`."""
    monkeypatch.setenv("SECRET_OF_THE_USER", "1")
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    seen = shown(local, run={"variables": Frozen(LEVEL=3, OMP_NUM_THREADS=1)})
    variables, home = seen["variables"], local.folder()
    assert variables.pop("PATH").endswith("/bin:/usr/local/bin:/usr/bin:/bin")
    assert {name for name in variables if name.endswith("_THREADS")} == {
        f"{name}_NUM_THREADS" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")
    }
    assert {name: value for name, value in variables.items() if "THREADS" not in name} == {
        "HOME": f"{home}/home",
        "TMPDIR": f"{home}/tmp",
        "TZ": "UTC",
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "LEVEL": "3",
    }
    assert variables["OMP_NUM_THREADS"] == "1"
    assert (seen["umask"], seen["session"], seen["input"]) == (0o022, True, "")
    assert seen["cwd"] == f"{home}/work"
    assert seen["open"] == ["0", "1", "2", "3"]  # 3 is the listing itself


def test_words_are_replaced(local):
    """Placeholders stand for the job's real folders, alone or after the first `=`; nothing else is touched."""
    words = ["@out", "--train_url=@out/x", "@in/data", "--a=b=@out", "@other", "a@out", "@code/train.py", "--x=", "@"]
    code = local.trees.tree({"train.py": b""})
    home = local.folder()
    assert shown(local, *words, code=code)["argv"] == [
        f"{home}/out",
        f"--train_url={home}/out/x",
        f"{home}/in/data",
        "--a=b=@out",
        "@other",
        "a@out",
        f"{home}/work/train.py",
        "--x=",
        "@",
    ]


def test_the_share_of_the_processors(tmp_path):
    """A job may use the processors of its slot, and its libraries are told how many these are."""
    cores = len(os.sched_getaffinity(0))
    local = LocalBench(tmp_path / "p", slots=max(cores, 2))
    seen = shown(local)
    assert (seen["cores"], seen["variables"]["OMP_NUM_THREADS"]) == (1, "1")
    local = LocalBench(tmp_path / "q")
    seen = shown(local)
    assert (seen["cores"], seen["variables"]["OMP_NUM_THREADS"]) == (cores, str(cores))
    seen = shown(local, key=a_key(2), run={"limits": Limits(cpu=0.5)})
    assert (seen["cores"], seen["variables"]["OMP_NUM_THREADS"]) == (1, "1")


def test_the_code_is_copied(local):
    """The code is the working directory, writable and with its executable bits; the user's folder gains nothing."""
    source = local.root / "code"
    (source / "lib").mkdir(parents=True)
    (source / "train.py").write_text(
        "import lib.tools, os; print(sorted(os.listdir('.')), os.access('run.sh', os.X_OK))"
    )
    (source / "lib" / "tools.py").write_text("")
    (source / "run.sh").write_text("")
    (source / "run.sh").chmod(0o755)
    reader = FolderReader(source)
    local.executor = LocalExecutor(Surroundings(local.root, local.root / "cache", lambda _: reader))
    before = sorted(source.rglob("*"))
    local.perform(Run(("@python", "train.py")), code=Tree(PROJECT, "code", reader.digest))
    assert local.log() == ["['lib', 'run.sh', 'train.py'] True"]
    assert sorted(source.rglob("*")) == before


class FolderReader:
    """Reads one real folder, as a store of driver `folder` does."""

    def __init__(self, root):
        self.root = root
        self.digest = tree.digest(folder.entries(root))

    def entries(self, tree):
        return folder.entries(self.root)

    def open(self, tree, entry):
        return open(self.root / entry.path, "rb")


def test_inputs_of_this_machine_are_shown_without_a_copy(local):
    """An input that is a folder of this machine is a link to it, and the link's removal leaves it alone."""
    source = local.root / "data"
    source.mkdir()
    (source / "数字 1.png").write_bytes(b"picture")
    reader = ProjectFolder(local.root)
    local.executor = LocalExecutor(Surroundings(local.root, local.root / "cache", lambda _: reader))
    code = "import os, sys; print(os.path.islink(sys.argv[1]), os.listdir(sys.argv[1]))"
    local.perform(python(code, "@in/data"), inputs=(JobInput("data", Tree(PROJECT, "data")),))
    assert local.log() == ["True ['数字 1.png']"]
    assert not (local.folder() / "in").exists()
    assert (source / "数字 1.png").read_bytes() == b"picture"
    error = local.failure(python(""), a_key(2), inputs=(JobInput("data", Tree(PROJECT, "gone")),))
    assert "its input `data` is not there: `gone`" in str(error)
    assert not error.ended


def test_outputs_may_link_into_inputs(local):
    """A link in the output that leads into an input is the file it leads to; the input stays until it is discarded."""
    reader = ProjectFolder(local.root)
    (local.root / "data").mkdir()
    (local.root / "data" / "a").write_text("shown")
    store = SuiteTrees()
    published = store.tree({"b": b"fetched"})
    readers = {"folder": reader, "suite": store}
    local.executor = LocalExecutor(Surroundings(local.root, local.root / "cache", lambda place: readers[place.driver]))
    code = """
import os, sys
os.mkdir(sys.argv[1] + "/model")
os.symlink(os.path.realpath(sys.argv[2] + "/a"), sys.argv[1] + "/model/a")
os.symlink(sys.argv[3] + "/b", sys.argv[1] + "/model/b")
"""
    inputs = (JobInput("one", Tree(PROJECT, "data")), JobInput("two", published))
    words = ("@out", "@in/one", "@in/two")
    left = local.perform(python(code, *words), inputs=inputs, outputs=(JobOutput("model", "model"),))["tree.model"]
    content = {}
    for entry in local.executor.entries(left):
        with local.executor.open(left, entry) as file:
            content[entry.path] = file.read()
    assert content == {"a": b"shown", "b": b"fetched"}
    local.executor.discard(local.place, a_key().id)
    assert (local.root / "data" / "a").read_text() == "shown"


def test_fetched_inputs_cannot_be_changed(local):
    """A fetched input is read-only for whoever is not root, its folders too."""
    given = local.trees.tree({"a/b.png": b"1"})
    code = (
        "import os, sys; print([oct(os.stat(sys.argv[1] + each).st_mode & 0o777) for each in ('', '/a', '/a/b.png')])"
    )
    local.perform(python(code, "@in/data"), inputs=(JobInput("data", given),))
    assert local.log() == ["['0o555', '0o555', '0o444']"]


def test_a_damaged_input_is_found_while_it_is_fetched(local):
    """A file that changes after the tree was listed fails the step, and no program sees it."""

    class Damaged(SuiteTrees):
        def open(self, tree, entry):
            self.change(tree, entry.path, b"other")
            return super().open(tree, entry)

    local.trees = Damaged()
    error = local.failure(python(""), inputs=(JobInput("data", local.trees.tree({"a.png": b"1"})),))
    assert error.diagnostics[0].code == "SF448"
    assert "input `data`" in str(error)
    assert "(`a.png`)" in str(error)


def test_usages_hide_the_files_of_other_samples(local):
    """Of a data set only the wanted samples' files and lines are there, annotation files included."""
    note = {"task": "object_detection", "annotation_format": "PASCAL VOC"}
    samples = [
        manifest.Sample("a.png", "TRAIN", (manifest.Annotation(**note, annotation_loc="a.xml"),)),
        manifest.Sample("b.png", "EVAL", (manifest.Annotation(**note, annotation_loc="b.xml"),)),
    ]
    files = {name: name.encode() for name in ("a.png", "a.xml", "b.png", "b.xml", "notes.txt")}
    given = local.trees.tree({**files, "V001.manifest": manifest.write(samples)})
    code = (
        "import os, sys; os.chdir(sys.argv[1]); print(sorted(os.listdir()), open('V001.manifest').read().count('png'))"
    )
    local.perform(python(code, "@in/data"), inputs=(JobInput("data", given, ("TRAIN",)),))
    assert local.log() == ["['V001.manifest', 'a.png', 'a.xml'] 1"]


def test_two_manifests_cannot_be_filtered(local):
    """Where it is not clear what the samples are for, the job does not start."""
    given = local.trees.tree({"a.manifest": b"", "b.manifest": b""})
    error = local.failure(python(""), inputs=(JobInput("data", given, ("TRAIN",)),))
    assert "this one has 2" in str(error)


def test_procedures_travel(local):
    """`@procedures` is a program that runs a procedure of specforge, in any interpreter, without anything installed."""
    reason = local.reason(Run(("@python", "-I", "-S", "@procedures", "no_such_procedure")))
    assert reason == "exit code 2"
    assert "with NAME one of: " in local.log()[0]
    assert local.log()[0].startswith("usage: ")


def test_the_payload_is_found_by_its_content(tmp_path):
    """The zip is made once per content and holds nothing but the packages that may travel."""
    first = procedures_zip(tmp_path)
    made = first.stat().st_mtime_ns
    assert procedures_zip(tmp_path) == first
    assert first.stat().st_mtime_ns == made
    with zipfile.ZipFile(first) as archive:
        names = archive.namelist()
    assert {name.split("/")[1] for name in names if "/" in name} == {"__init__.py", "formats", "procedures", "runtimes"}
    assert {each.name for each in (tmp_path / "payload").iterdir()} == {first.name}


def test_a_copy_goes_on_where_it_was_broken(local):
    """Copying brings what is missing or wrong, leaves what is right, and MIRROR removes what does not belong."""
    source = local.trees.tree({"a.py": b"a", "lib/b.py": b"b", "notes.md": b"n"})
    target = local.root / local.place.id / "copies" / "code"
    (target / "lib").mkdir(parents=True)
    (target / "a.py").write_bytes(b"a")
    (target / "lib" / "b.py").write_bytes(b"half")
    (target / "old" / "__pycache__").mkdir(parents=True)
    (target / "old" / "__pycache__" / "x.pyc").touch()
    right = (target / "a.py").stat().st_ino
    local.executor.perform(Copy(source, local.place, "code"), local.context())
    assert {each.relative_to(target).as_posix() for each in target.rglob("*")} == {
        "a.py",
        "lib",
        "lib/b.py",
        "notes.md",
    }
    assert (target / "lib" / "b.py").read_bytes() == b"b"
    assert (target / "a.py").stat().st_ino == right
    other = local.trees.tree({"c.py": b"c"})
    local.executor.perform(Copy(other, local.place, "code", mode="ADD"), local.context())
    assert sorted(each.name for each in target.rglob("*.py")) == ["a.py", "b.py", "c.py"]
    with pytest.raises(ExecutionError, match="no folder inside a pool"):
        local.executor.perform(Copy(source, local.place, "../code"), local.context())


def test_a_copy_of_selected_files(local):
    """A selection copies the files it names and gives their digest."""
    source = local.trees.tree({"a.PNG": b"a", "notes.md": b"n"})
    wanted = local.trees.tree({"a.PNG": b"a"})
    step = Copy(Tree(source.place, source.path, wanted.digest), local.place, "pictures", Select((".png",)))
    copied = local.executor.perform(step, local.context()).outputs["tree"]
    assert copied.digest == wanted.digest
    assert [each.path for each in local.executor.entries(copied)] == ["a.PNG"]


def test_a_long_address_still_has_a_folder(local):
    """The longest Chinese name that is allowed gives a run folder that the file system takes."""
    key = a_key(name="名" * 64, step="a-rather-long-name-of-a-step")
    local.perform(python("print(1)"), key)
    assert local.log(key) == ["1"]
    with pytest.raises(ValueError, match="not a run key"):
        local.executor.cancel(local.place, "../x", 0.0)


def test_trees_of_a_pool_that_are_not_there(local):
    """Reading a tree that a pool does not have is an error in words."""
    with pytest.raises(ExecutionError, match="cannot be read"):
        local.executor.entries(Tree(local.place, "runs/none/out"))
    with pytest.raises(ExecutionError, match="a pool has no published trees"):
        local.executor.entries(Tree(Place("local", "x"), None, "0" * 64))
