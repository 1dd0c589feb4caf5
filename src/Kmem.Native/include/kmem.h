#ifndef KMEM_H
#define KMEM_H
#endif
