"""What the tests of npm's clients share: the packages in a folder of their own, and scripts that use them."""
