"""Every code of a diagnostic: its title and an explanation. docs/reference/errors.md is made from it.

A test holds it against the source: no code without a row, no row without a code. A code is never given a second
meaning, and the code of an error that is gone is not used again.
"""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, tuple[str, str]] = {
    # ---- loading and the command line ----
    "SF101": ("No project here", "Neither the folder nor one above it has a `specforge.yaml`."),
    "SF102": ("Unreadable file", "A YAML file cannot be read, or is not a text in UTF-8."),
    "SF103": ("Invalid YAML", "The text is not YAML: a tab, a bracket left open, an unquoted `${…}`."),
    "SF104": ("Unknown reference", "A field names a resource that nothing declares."),
    "SF105": ("Duplicate key", "A mapping has the same key twice; YAML would silently keep one of the values."),
    "SF106": (
        "YAML that is not taken",
        "Tags, exploding aliases, bottomless nesting: legal YAML that specs do not need.",
    ),
    "SF107": ("Unknown kind", "No installed distribution offers a kind of this name."),
    "SF108": ("Unknown field", "The document has a key that its kind does not know."),
    "SF109": ("Missing field", "A field without a default is not given."),
    "SF110": ("Wrong value", "A value has another type, or is outside of what the field allows."),
    "SF111": ("Duplicate resource", "Two documents of one kind have the same name."),
    "SF112": ("Wrong reference", "A reference names another kind of resource, or its version pin has no valid form."),
    "SF113": ("Variable", "A variable is not declared, has no value, or its value on the command line is none."),
    "SF114": ("Bad expression", "`${…}` stands where it cannot, is not closed, or means nothing."),
    "SF115": ("Unknown environment", "`--env` names an environment that the project file does not declare."),
    "SF116": ("Lock file", "`specforge.lock` was edited, damaged, or written by a newer release."),
    "SF117": ("No default", "A reference is left out, and the project file has no default for it."),
    "SF118": ("Not a document", "A document is not a mapping with a key `kind`."),
    "SF119": (
        "Project document",
        "`specforge.yaml` needs exactly one Project document, and no other file may have one.",
    ),
    "SF120": (
        "Bad name",
        "A name has letters, digits, `_`, `-` and Chinese characters, and begins with a letter or digit.",
    ),
    "SF121": ("Empty file", "A warning: a YAML file of the project declares nothing."),
    "SF122": ("Pattern without files", "A warning: a pattern under `specs` matches no file."),
    "SF151": ("Unknown address", "The command names a resource that is neither declared nor recorded."),
    "SF152": ("Not a variable", "`--var` wants `NAME=VALUE`."),
    "SF153": ("Not a time", "`--since` wants a length of time or a point in time."),
    "SF154": ("Files are in the way", "`spec init` overwrites nothing."),
    "SF155": ("The project cannot be written", "`spec init` may not write in that folder."),
    "SF156": ("The output cannot be written", "Standard output goes to a full disk or a broken device."),
    # ---- planning ----
    "SF201": ("Unknown version", "`NAME@VERSION` asks for a version that was never published."),
    "SF202": (
        "Pinned to something no longer declared",
        "A warning: the kept version of a resource that is gone is used.",
    ),
    "SF203": (
        "Version name is taken",
        "`version:` names a published version with other content; versions never change.",
    ),
    "SF204": ("Unknown address", "`--target` or `--replace` names nothing that is declared or recorded."),
    "SF205": ("Nothing to replace", "`--replace` is for what is made: artifacts."),
    "SF206": ("The plan is stale", "The state has moved on since the plan was made; nothing was done."),
    "SF210": ("File or folder not found", "A source, a code folder or a boot file is not there."),
    "SF211": ("No pictures", "The source of a Dataset has no file that counts."),
    "SF212": ("Empty class folder", "A label's folder has no pictures."),
    "SF213": ("Bad label", "A label has at most 32 letters, digits, `_`, `-` and Chinese characters."),
    "SF214": ("Pictures without a label", "Pictures lie beside the class folders."),
    "SF215": ("Folder cannot be read", "Links that lead outside, names that are not UTF-8, missing rights."),
    "SF216": (
        "Bad parameter declaration",
        "An Algorithm declares a parameter whose default or bounds do not fit its type.",
    ),
    "SF217": ("Toolchain not locked", "`specforge.lock` has no entry for the engine; `spec lock` makes it."),
    "SF218": (
        "Bad parameter",
        "A TrainingJob gives a parameter that its Algorithm does not declare, or a value it refuses.",
    ),
    "SF219": ("Option given twice", "An input, a parameter and ours would give the boot file the same option."),
    "SF220": ("Cycle of references", "Resources wait for each other."),
    "SF221": ("No such samples", "A usage is asked for that no sample of a Dataset without `split` has."),
    "SF226": ("Unknown engine", "Nothing says which engine the model that a Service serves was made with."),
    "SF251": ("The plan cannot be saved", "The file given with `-o` cannot be written."),
    "SF252": ("The plan cannot be read", "The saved plan is not there or may not be read."),
    "SF253": ("A plan from the future", "The saved plan was written by a newer release."),
    "SF254": ("Not a saved plan", "The file was not written by `spec plan -o`, or was edited."),
    "SF255": ("The plan is of another project or environment", "A saved plan is applied where it was made."),
    "SF256": ("Options that a saved plan cannot take", "A saved plan is performed as it was made."),
    "SF257": ("Not approved", "There is no terminal to ask on and `--yes` was not given; nothing was done."),
    # ---- state ----
    "SF301": ("State of a newer release", "The state has a format that this release does not know."),
    "SF302": ("State of another project", "The state belongs to another project or environment."),
    "SF303": ("Damaged state", "What lies there is not a state any more."),
    "SF304": ("State cannot be written", "No rights, or no room; what was recorded is intact."),
    "SF305": ("State cannot be read", "No rights, or a failing disk."),
    "SF306": ("State is locked", "Another apply is going on; the message says whose and since when."),
    "SF307": ("State has moved on", "Somebody recorded something in between; plan again."),
    "SF308": ("Unknown place for the state", "`state:` names a place that no backend knows."),
    "SF351": ("Nothing recorded", "The resource is declared, but nothing is recorded of it yet."),
    "SF352": ("No log", "No job of the resource is recorded, and no log is published with it."),
    # ---- execution ----
    "SF401": ("An input is missing", "What the step goes on with was not made."),
    "SF402": (
        "The result is not the plan's",
        "Applying gave another identity than the plan said. This is a bug: please report it.",
    ),
    "SF403": ("Place unreachable", "The place does not answer; nothing was decided there."),
    "SF404": ("Unreadable intent", "What was begun was recorded by another release."),
    "SF405": (
        "The store has changed since the plan",
        "What the plan reuses is gone from the store, or was made again since; nothing was done instead.",
    ),
    "SF406": ("A run cannot be ended", "A job that is no longer wanted goes on although it was told to end."),
    "SF407": (
        "The store that was left still has references",
        "It does not answer, so it goes on keeping what was published there.",
    ),
    "SF409": ("The place cannot do this", "The driver of this place lacks an ability that the step needs."),
    "SF420": ("Not a place for this", "The folder is no store, or something else lies there."),
    "SF421": ("Unknown store format", "The store was made by another release."),
    "SF422": ("Version name taken", "The version name is claimed by other content in the store."),
    "SF423": ("Files changed", "Files changed while they were read; nothing was published."),
    "SF424": ("Still in use", "Published data are used by others, who are named; they are kept."),
    "SF425": ("Store cannot be used", "The store's folder cannot be read or written."),
    "SF426": ("No space", "The disk of the store is full; nothing was published."),
    "SF427": ("Files cannot be read", "Files of the source cannot be read or published."),
    "SF428": ("Published data damaged", "Data in the store are missing or no longer have their digest."),
    "SF429": ("Cancelled", "Stopped on request before anything was published."),
    "SF440": ("The job failed", "The command exited with an error, or left no output; its log is shown."),
    "SF441": ("The job was cancelled", "Stopped on request."),
    "SF442": (
        "The job was lost",
        "The machine went down, the job's wrapper was killed, or what it left was removed; applying again runs it anew.",
    ),
    "SF443": ("Files of a job cannot be read", "The run's folder was changed or removed."),
    "SF444": ("The job cannot be started", "The command, a folder or the toolchain is not usable."),
    "SF445": ("The job is too large for the pool", "It asks for more than the pool has."),
    "SF446": ("The pool is in use", "Jobs are running there."),
    "SF447": ("No such job", "The place knows no job of this key."),
    "SF448": (
        "The files changed since the plan",
        "The code or the data are not those that were planned with; plan again.",
    ),
    "SF449": ("The pool cannot be used", "The pool's folder or machine does not allow what jobs need."),
    "SF460": (
        "The toolchain cannot be made",
        "The locked software cannot be installed; the message has the installer's words.",
    ),
    "SF461": ("No Python for the toolchain", "No interpreter of the locked Python version is found."),
    "SF462": ("No room for the toolchain", "The disk of the cache folder is full."),
    "SF463": ("The toolchain cannot be locked", "The engine is unknown, or its requirements cannot be met."),
    "SF464": (
        "The package index cannot be reached",
        "`spec lock` needs the package index that pip is configured with.",
    ),
    "SF465": ("uv is missing", "Toolchains are resolved and installed with uv, which comes with specforge."),
    "SF490": ("The fake world refuses", "For tests: a fault was injected."),
    "SF491": ("The fake place is unreachable", "For tests: the place was made unreachable."),
    # ---- plugins ----
    "SF499": ("This is a bug in specforge", "One change failed in a way that is not foreseen; the others went on."),
    "SF501": ("Broken plugin", "An entry point of an installed distribution cannot be loaded, or is something else."),
    "SF502": ("Unknown driver", "A recorded or declared place needs a driver that is not installed."),
    "SF503": ("Plugins collide", "Two distributions offer the same kind or driver."),
    "SF504": ("No kinds", "Nothing is installed that offers kinds, not even specforge."),
    "SF505": (
        "A driver has a bug",
        "The driver of a place failed in a way that drivers must not; only its work failed.",
    ),
}
"""{code: (title, explanation)}, in the order of codes."""
