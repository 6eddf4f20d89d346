ls -R $1
