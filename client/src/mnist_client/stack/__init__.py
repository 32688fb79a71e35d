"""The embedded stack of `mnist-client up`: a server and its workers, supervised in the foreground."""
