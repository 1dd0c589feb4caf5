using System;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.Loader;
using Kmem.Tool.Hosting;

namespace Kmem.Tool.Bench.Allocators;

/// <summary>
/// An allocator in an assembly: static methods <c>mi_malloc</c> and <c>mi_free</c>, or <c>Alloc</c> and <c>Free</c>, of a public type. A struct is
/// emitted that calls them directly, so that the JIT may inline them as it would in a program that references the assembly.
/// </summary>
internal static class ManagedPeer
{
    /// <summary>The emitted type, to be used as an <see cref="IPointerAllocator"/>.</summary>
    public static Type Load(string path, string typeName)
    {
        Assembly assembly;
        try
        {
            string full = Path.GetFullPath(path);
            AssemblyLoadContext.Default.Resolving += (context, name) => Beside(context, full, name);
            assembly = AssemblyLoadContext.Default.LoadFromAssemblyPath(full);
        }
        catch (Exception exception) when (exception is IOException or BadImageFormatException)
        {
            throw new ToolException($"{path}: cannot be loaded: {exception.Message}", exception);
        }

        Type type = assembly.GetType(typeName) ?? throw new ToolException($"{path}: has no type '{typeName}'");
        if (!type.IsVisible)
        {
            throw new ToolException($"{path}: type '{typeName}' is not public");
        }

        MethodInfo alloc = Find(path, type, ["mi_malloc", "Alloc", "Malloc", "malloc"], 1)!;
        MethodInfo free = Find(path, type, ["mi_free", "Free", "free"], 1)!;
        MethodInfo? realloc = Find(path, type, ["mi_realloc", "Realloc", "ReAlloc", "realloc"], 2, isOptional: true);
        return Emit(alloc, free, realloc);
    }

    private static Assembly? Beside(AssemblyLoadContext context, string path, AssemblyName name)
    {
        string file = Path.Join(Path.GetDirectoryName(path), name.Name + ".dll");
        return File.Exists(file) ? context.LoadFromAssemblyPath(file) : null;
    }

    private static MethodInfo? Find(string path, Type type, string[] names, int parameters, bool isOptional = false)
    {
        foreach (string name in names)
        {
            MethodInfo? method = type.GetMethods(BindingFlags.Public | BindingFlags.Static).FirstOrDefault(each =>
                each.Name == name && !each.IsGenericMethod && each.GetParameters().Length == parameters
                && each.GetParameters().All(parameter => IsWord(parameter.ParameterType)));
            if (method != null)
            {
                return method;
            }
        }

        return isOptional ? null : throw new ToolException($"{path}: '{type.FullName}' has no public static {string.Join(" or ", names)} that takes {parameters} pointers or numbers");
    }

    private static bool IsWord(Type type) => type.IsPointer || type == typeof(nuint) || type == typeof(nint)
        || type == typeof(ulong) || type == typeof(long) || type == typeof(int) || type == typeof(uint);

    private static Type Emit(MethodInfo alloc, MethodInfo free, MethodInfo? realloc)
    {
        AssemblyBuilder assembly = AssemblyBuilder.DefineDynamicAssembly(new AssemblyName("Kmem.Bench.ManagedPeer"), AssemblyBuilderAccess.Run);
        TypeBuilder type = assembly.DefineDynamicModule("peer").DefineType(
            "ManagedPeerPointers",
            TypeAttributes.Public | TypeAttributes.Sealed | TypeAttributes.SequentialLayout,
            typeof(ValueType));
        type.AddInterfaceImplementation(typeof(IPointerAllocator));
        Forward(type, nameof(IPointerAllocator.Alloc), alloc);
        Forward(type, nameof(IPointerAllocator.Free), free);
        Forward(type, nameof(IPointerAllocator.Realloc), realloc);
        return type.CreateType();
    }

    /// <summary>A static method of the interface that calls the target, or throws where there is none.</summary>
    private static void Forward(TypeBuilder type, string name, MethodInfo? target)
    {
        MethodInfo declared = typeof(IPointerAllocator).GetMethod(name)!;
        Type[] parameters = [.. declared.GetParameters().Select(static parameter => parameter.ParameterType)];
        MethodBuilder method = type.DefineMethod(name, MethodAttributes.Public | MethodAttributes.Static, declared.ReturnType, parameters);
        method.SetImplementationFlags(MethodImplAttributes.AggressiveInlining);
        ILGenerator code = method.GetILGenerator();
        if (target == null)
        {
            code.Emit(OpCodes.Ldstr, $"the peer has no method like {name} of pointers and numbers");
            code.Emit(OpCodes.Newobj, typeof(NotSupportedException).GetConstructor([typeof(string)])!);
            code.Emit(OpCodes.Throw);
        }
        else
        {
            for (int index = 0; index < parameters.Length; index++)
            {
                code.Emit(OpCodes.Ldarg, index);
                Type wanted = target.GetParameters()[index].ParameterType;
                code.Emit(wanted == typeof(int) ? OpCodes.Conv_I4 : wanted == typeof(uint) ? OpCodes.Conv_U4 : wanted == typeof(long) ? OpCodes.Conv_I8 : wanted == typeof(ulong) ? OpCodes.Conv_U8 : OpCodes.Conv_U);
            }

            code.Emit(OpCodes.Call, target);
            if (declared.ReturnType == typeof(void) && target.ReturnType != typeof(void))
            {
                code.Emit(OpCodes.Pop);
            }
            else if (declared.ReturnType != typeof(void))
            {
                code.Emit(OpCodes.Conv_U);
            }

            code.Emit(OpCodes.Ret);
        }

        type.DefineMethodOverride(method, declared);
    }
}
