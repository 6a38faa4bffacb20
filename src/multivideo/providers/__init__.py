"""What each vendor speaks: pure, from its words to ours and back."""
