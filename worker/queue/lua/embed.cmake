# Writes the scripts as C: one array of bytes each, ended by NUL, and script_sources in the order of
# worker/queue/scripts.h. cmake -D OUT=scripts.c -D DIR=worker/queue/lua -P embed.cmake
cmake_minimum_required(VERSION 3.25)
file(READ ${DIR}/lib.lua lib HEX)
file(READ ${DIR}/windows.lua windows HEX)
set(with_windows permit settle scopes)
file(GLOB sources ${DIR}/*.lua)
set(text "#include \"worker/queue/scripts.h\"\n\n")
foreach(source ${sources})
	get_filename_component(name ${source} NAME_WE)
	if(name MATCHES "^(lib|windows)$")
		continue()
	endif()
	file(READ ${source} own HEX)
	set(hex ${lib})
	if(name IN_LIST with_windows)
		string(APPEND hex ${windows})
	endif()
	string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}${own}00")
	string(APPEND text "static const char script_${name}[] = {${bytes}};\n")
endforeach()
string(APPEND text "
const char *const script_sources[] = {
#define X(constant, name) [SCRIPT_##constant] = script_##name,
	QUEUE_SCRIPTS(X)
#undef X
};
")
file(WRITE ${OUT} "${text}")
