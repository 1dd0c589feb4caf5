/* Data that compiled code refers to by name, and that C# cannot export. */

/* Never set: no collector waits for a thread to stop. */
unsigned int RhpTrapThreads = 0;

/* Stands between local buffers and the return address; any value that is hard to write by accident. */
unsigned long __security_cookie = 0x6b6d656d00ff0a0dul;
