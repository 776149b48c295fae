"""One training: frozen manifest → challenger → comparison → conclusion; built-in and own trainers."""
