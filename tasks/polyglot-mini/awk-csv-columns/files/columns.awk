BEGIN { FS = OFS = "," }
{ print $1 }
