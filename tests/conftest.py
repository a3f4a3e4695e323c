"""For all tests: no deadlines for hypothesis, since machines that run tests are busy."""

from hypothesis import settings

settings.register_profile("specforge", deadline=None)
settings.load_profile("specforge")
