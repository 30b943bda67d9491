"""What vendors answer, written by us after their documentation."""
