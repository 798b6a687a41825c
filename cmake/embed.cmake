# Writes the bytes of INPUT to OUTPUT as C initialisers: static const char text[] = {
# #include "..."
# };  A final zero is added, so that the array is a string too.
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE ${OUTPUT} "${bytes}0x00\n")
