"""What a program writes by itself, read while it is written."""
