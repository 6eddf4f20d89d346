. steps/common.sh
cd $ROOT
mkdir -p out/hello-$VERSION
sed -i "s/@VERSION@/$VERSION/" src/hello.sh
cp src/hello.sh out/hello-$VERSION
cp src/lib/greet.sh out/hello-$VERSION/lib
echo $VERSION > out/hello-$VERSION/version
