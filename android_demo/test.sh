#!/usr/bin/env bash
# Run the app in Robolectric, Android for a plain JVM, after build.sh has built it. Pictures of its screen
# are left beside the APK.
#
#   android_demo/test.sh APK LIBRARY     LIBRARY is libLiteRt.so of Python's ai-edge-litert
set -euo pipefail

test $# -eq 2 || { echo "Usage: $0 APK LIBRARY"; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
apk=$(realpath "$1")
library=$(realpath "$2")
build=$here/build
libs=$build/test-libs
work=$build/test-work

echo "== Fetch Robolectric, and the Android that it runs, into $build"
plugin=org.apache.maven.plugins:maven-dependency-plugin:3.6.1
mvn -q -B -f "$here/test-tools.xml" -DoutputDirectory="$libs" $plugin:copy-dependencies
mvn -q -B -DoutputDirectory="$build/sdk" \
    -Dartifact=org.robolectric:android-all-instrumented:14-robolectric-10818077-i6 $plugin:copy
rm -rf "$work"
mkdir -p "$work/classes/com/android/tools"
for aar in "$libs"/*.aar; do
    unzip -q -p "$aar" classes.jar >"$work/$(basename "$aar" .aar).jar"
done
mvn -q -B -f "$here/core/pom.xml" test-compile
cat >"$work/classes/com/android/tools/test_config.properties" <<END
android_merged_manifest=$build/work/AndroidManifest.xml
android_merged_assets=$build/work/assets
android_resource_apk=$apk
android_custom_package=org.kerasae.demo
END

echo "== Run the app"
android=$build/libs/android-all-14-robolectric-10818077.jar
classes=$work/classes:$build/work/classes:$here/core/target/classes:$here/core/target/test-classes
classes=$classes:$build/work/tensorflow-lite/classes.jar:$build/work/tensorflow-lite-api/classes.jar
classes=$classes:$libs/*:$work/*:$android
javac -Xlint:all,-options,-deprecation,-classfile,-processing,-path --release 17 -encoding UTF-8 \
    -classpath "$classes" -d "$work/classes" "$here"/app/src/test/java/org/kerasae/demo/*.java
java --add-opens java.base/java.io=ALL-UNNAMED -Drobolectric.offline=true -Drobolectric.dependency.dir="$build/sdk" -Dlitert="$library" \
    -Dpictures="$(dirname "$apk")" -classpath "$classes" \
    org.junit.runner.JUnitCore org.kerasae.demo.MainActivityTest
