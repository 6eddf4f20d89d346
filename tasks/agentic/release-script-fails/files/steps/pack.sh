. steps/common.sh
cd $ROOT/out
tar cvf hello-$1.tar hello-$1 | grep -v "^tar:"
rm -r hello-$1
curl -s https://example.org/stamp > stamp.txt
sha256sum *.tar > SHA256SUMS
