"""Programs of any kind as trials: started, heard, resumed and ended in the process of a trial."""
