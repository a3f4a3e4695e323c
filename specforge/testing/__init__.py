"""Contract suites that every backend, executor and kind passes; shipped for plugin authors."""
