"""What every experiment stands on."""
