"""The information layer's cloud: takes what sites' sensors send, cleans it and hands it to the repository."""
