"""What others got wrong: a test for each class of bugs that DECISIONS.md lists."""
