#!/usr/bin/env bash
# Build a signed debug APK from the sources that Gradle builds, with packages of Maven Central and of
# Debian: apt-get install maven aapt zipalign apksigner dexdump zip unzip
#
#   android_demo/build.sh BUNDLE APK
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
test $# -eq 2 || { echo "Usage: $0 BUNDLE APK"; exit 2; }
bundle=$(cd "$1" && pwd)
apk=$(realpath -m "$2")
app=$here/app/src/main
build=$here/build
package=org.kerasae.demo
min_sdk=23
target_sdk=34

say() { echo "== $*"; }
for tool in java javac mvn aapt2 zipalign apksigner dexdump zip unzip keytool; do
    command -v $tool >/dev/null || { echo "$tool is missing: see the head of $0"; exit 1; }
done
test -f "$bundle/bundle.json" || { echo "$bundle has no bundle.json"; exit 1; }
rm -f "$apk"

say "Fetch Android's API, TensorFlow Lite and two translators into $build/libs"
mvn -q -B -f "$here/build-tools.xml" -DoutputDirectory="$build/libs" \
    org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies
android=$build/libs/android-all-14-robolectric-10818077.jar

work=$build/work
rm -rf "$work"
mkdir -p "$work"/{classes,generated,assets,content}
for part in tensorflow-lite tensorflow-lite-api; do
    unzip -q "$build/libs/$part-2.16.1.aar" -d "$work/$part"
done

say "Compile the core"
mvn -q -B -f "$here/core/pom.xml" -DskipTests package
core=$here/core/target/core-1.jar

say "Compile the resources"
cp -r "$bundle" "$work/assets/bundle"
# Gradle takes the package from build.gradle, aapt2 from here.
sed "s/<manifest /<manifest package=\"$package\" /" "$app/AndroidManifest.xml" >"$work/AndroidManifest.xml"
aapt2 compile --dir "$app/res" -o "$work/resources.zip"
# What is mapped into memory has to be stored as it is.
aapt2 link -I "$android" --manifest "$work/AndroidManifest.xml" --java "$work/generated" \
    --min-sdk-version $min_sdk --target-sdk-version $target_sdk --version-code 1 --version-name 1.0 \
    --debug-mode -A "$work/assets" --no-compress-regex '\.(tflite|safetensors|json)$' \
    -o "$work/app.apk" "$work/resources.zip"

say "Compile the app"
libraries=$core:$work/tensorflow-lite/classes.jar:$work/tensorflow-lite-api/classes.jar
mapfile -d '' sources < <(find "$app/java" "$work/generated" -name '*.java' -print0)
javac -Xlint:all,-options,-deprecation,-classfile,-processing -Werror --release 8 -encoding UTF-8 \
    -classpath "$android:$libraries" -d "$work/classes" \
    "${sources[@]}"

say "Translate for the phone"
java -cp "$build/libs/*" proguard.ProGuard -injars "$work/classes:$libraries" -outjars "$work/old" \
    -libraryjars "$android" -libraryjars '<java.home>/jmods/java.base.jmod(!module-info.class)' \
    -target 1.7 -dontshrink -dontoptimize -dontobfuscate -keepattributes '*' -dontwarn -dontnote
java -cp "$build/libs/dalvik-dx-16.0.1.jar" com.android.dx.command.Main --dex \
    --min-sdk-version=$min_sdk --output="$work/content/classes.dex" "$work/old"

say "Pack, align and sign"
for abi in arm64-v8a x86_64; do
    mkdir -p "$work/content/lib/$abi"
    cp "$work/tensorflow-lite/jni/$abi/libtensorflowlite_jni.so" "$work/content/lib/$abi"
done
(cd "$work/content" && zip -q -r -n .so "$work/app.apk" classes.dex lib)
mkdir -p "$(dirname "$apk")"
zipalign -f -p 4 "$work/app.apk" "$work/aligned.apk"
keystore=$build/debug.keystore
test -f "$keystore" || keytool -genkeypair -keystore "$keystore" -storepass android -alias debug \
    -keypass android -keyalg RSA -validity 10000 -dname "CN=Debug" >/dev/null 2>&1
apksigner sign --ks "$keystore" --ks-pass pass:android --v4-signing-enabled false --min-sdk-version $min_sdk \
    --out "$apk" "$work/aligned.apk"

say "Check"
zipalign -c -p 4 "$apk"
apksigner verify --min-sdk-version $min_sdk "$apk"
aapt2 dump badging "$apk" >"$work/badging.txt"
for line in "package: name='$package'" "sdkVersion:'$min_sdk'" "targetSdkVersion:'$target_sdk'" \
    "launchable-activity: name='$package.MainActivity'" "native-code: 'arm64-v8a' 'x86_64'"; do
    grep -qF "$line" "$work/badging.txt" || { echo "The APK lacks $line"; exit 1; }
done
if grep -q "uses-permission" "$work/badging.txt"; then echo "The APK asks for a permission"; exit 1; fi
unzip -q -o "$apk" classes.dex -d "$work/check"
dexdump "$work/check/classes.dex" >"$work/dex.txt"
for class in demo/MainActivity demo/DrawingView demo/TfLiteEncoder core/CodeIndex core/Bundle; do
    grep -qF "Class descriptor  : 'Lorg/kerasae/$class;'" "$work/dex.txt" \
        || { echo "The APK has no class $class"; exit 1; }
done
grep -A 3 "in Lorg/kerasae/demo/MainActivity;" "$work/dex.txt" >"$work/methods.txt"
for method in onCreate onPostCreate onRetainNonConfigurationInstance; do
    grep -qF "'$method'" "$work/methods.txt" || { echo "MainActivity has no $method"; exit 1; }
done
unzip -v "$apk" >"$work/listing.txt"
if grep -E " (resources\.arsc|(assets|lib)/.*)$" "$work/listing.txt" | grep -v " Stored "; then
    echo "These are compressed, and cannot be mapped into memory"
    exit 1
fi
say "$apk: $(du -h "$apk" | cut -f1)"
