"""A scripted Messages API on loopback, so that tests, benchmarks and newcomers can run the real CLI without a login."""
