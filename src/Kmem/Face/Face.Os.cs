using System;
using System.Runtime.CompilerServices;
using Kmem.Engine.Os;

// Every native call of the engine passes numbers and pointers only: no marshalling code is wanted between.
[assembly: DisableRuntimeMarshalling]

namespace Kmem.Engine;

internal static unsafe partial class Face
{
    /// <summary>The table of the system that this process runs on.</summary>
    public static OsTable SelectOs()
    {
        OsTable table;
        SelectOs(&table);
        return table;
    }

    /// <summary>Fills the table of the system that this process runs on.</summary>
    public static void SelectOs(OsTable* table)
    {
        if (OperatingSystem.IsWindows())
        {
            WindowsMemory.Fill(table);
        }
        else if (OperatingSystem.IsMacOS())
        {
            MacMemory.Fill(table);
        }
        else
        {
            LinuxMemory.Fill(table);
        }
    }
}
