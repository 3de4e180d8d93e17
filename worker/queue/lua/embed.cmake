# Writes the scripts as C: one array of bytes each, ended by NUL, and script_sources and script_takes_several in the order of
# worker/queue/scripts.h. cmake -D OUT=scripts.c -D DIR=worker/queue/lua -P embed.cmake
cmake_minimum_required(VERSION 3.25)
file(READ ${DIR}/lib.lua lib HEX)
file(READ ${DIR}/each.lua each HEX)
file(GLOB sources ${DIR}/*.lua)
set(text "#include \"worker/queue/scripts.h\"\n\n")
foreach(source ${sources})
	get_filename_component(name ${source} NAME_WE)
	file(READ ${source} plain)
	if(plain MATCHES "^-- ${name}\\.lua:") # a part: of those that name it
		continue()
	endif()
	# A function of its own around all but lib.lua: what is defined in it takes what lib.lua has from there, instead of
	# looking for it among all that is defined, each function for each name.
	string(HEX "return done(pcall(function() " begin)
	string(HEX "end))\n" end)
	set(hex ${lib}${begin})
	if(plain MATCHES "\n-- With: ([a-z ]+)\n")
		string(REPLACE " " ";" parts "${CMAKE_MATCH_1}")
		foreach(part ${parts})
			file(READ ${DIR}/${part}.lua part_hex HEX)
			string(APPEND hex ${part_hex})
		endforeach()
	endif()
	file(READ ${source} own HEX)
	if(plain MATCHES "\n-- Told of several at once")
		string(TOUPPER ${name} constant)
		string(APPEND several "	[SCRIPT_${constant}] = true,\n")
		string(HEX "local function one(ARGV)\n" begin)
		string(HEX "end\n" end_of_one)
		set(own ${begin}${own}${end_of_one}${each})
	endif()
	string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}${own}${end}00")
	string(APPEND text "static const char script_${name}[] = {${bytes}};\n")
endforeach()
string(APPEND text "
const char *const script_sources[] = {
#define X(constant, name) [SCRIPT_##constant] = script_##name,
	QUEUE_SCRIPTS(X)
#undef X
};

const bool script_takes_several[SCRIPT_COUNT] = {
${several}};
")
file(WRITE ${OUT} "${text}")
